"""What is no HTTP request reaches no app, and is answered with a problem all the same."""

from __future__ import annotations

from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from meter.api.problems import Kind, Problem
from meter.api.request_frame import headers_of_every_response, new_request_id
from meter.telemetry import correlation, get_logger

log = get_logger(__name__)


class ProblemProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, whose own refusals have the form of ours."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, and close the connection: where the next request begins is not known.

        Args:
            msg: what uvicorn would say.
        """
        state = self.conn.our_state
        if state is not h11.IDLE:
            # The body of a request broke off whose answer nobody is to hear any more.
            self.cycle.disconnected = True
        # Not after a response or within one: half of it must not look like a whole one.
        if state in (h11.IDLE, h11.SEND_RESPONSE):
            request_id = new_request_id()
            with correlation(request_id=request_id.decode()):
                log.info("malformed request", reason=msg)
            response = Problem(
                Kind.MALFORMED_REQUEST, "the request line, a header or the body breaks the rules of HTTP/1.1"
            ).response()
            headers = [
                *self.server_state.default_headers,
                *response.raw_headers,
                *headers_of_every_response(request_id),
                (b"connection", b"close"),
            ]
            status = HTTPStatus(response.status_code)
            for event in (
                h11.Response(status_code=status, headers=headers, reason=status.phrase),
                h11.Data(bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
