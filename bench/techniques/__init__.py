"""Ways to write a batch, compared: what the backend and the client need for each event."""
