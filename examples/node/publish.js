// A Node.js service that publishes usage events by the contract alone: no meter library, only AMQP and JSON.
//
//   npm ci
//   METER_AMQP_URL=amqp://user:password@127.0.0.1:5672/ node publish.js acme alice
//
// Prints the ids of the events once the broker has confirmed them.

import { randomUUID } from "node:crypto";
import amqp from "amqplib";

const EXCHANGE = "meter.usage";

/** A usage event: CloudEvents 1.0 with the data of meter.usage.v1. */
function usageEvent(organization, user, data) {
  return {
    specversion: "1.0",
    type: "meter.usage.v1",
    // Any id of 1 to 128 characters. Make it once per event and keep it for every retry:
    // the same id and source is the same event, and is charged once.
    id: randomUUID(),
    source: "examples/node",
    subject: organization,
    time: new Date().toISOString(),
    data: { user_id: user, ...data },
  };
}

/** Publishes events as one message; resolves when the broker has written it to disk. */
function publish(channel, events) {
  const single = events.length === 1;
  const body = Buffer.from(JSON.stringify(single ? events[0] : events));
  const options = {
    contentType: single ? "application/cloudevents+json" : "application/cloudevents-batch+json",
    persistent: true,
    mandatory: true, // without a queue the message comes back instead of vanishing
    // Microseconds since 1970; meter measures from it how long an event takes to its charge.
    headers: { "meter-published-at": { "!": "int64", value: Date.now() * 1000 } },
  };
  return new Promise((resolve, reject) => {
    // A message nobody can take is returned first and confirmed then.
    const onReturn = () => reject(new Error("the broker has no queue for usage events; is meter running?"));
    channel.once("return", onReturn);
    // The routing key is the organization.
    channel.publish(EXCHANGE, events[0].subject, body, options, (error) => {
      channel.off("return", onReturn);
      if (error) reject(error);
      else resolve();
    });
  });
}

const [organization = "acme", user = "alice"] = process.argv.slice(2);
const connection = await amqp.connect(process.env.METER_AMQP_URL ?? "amqp://127.0.0.1", {
  clientProperties: { connection_name: "examples/node" },
});
try {
  const channel = await connection.createConfirmChannel();
  const answer = usageEvent(organization, user, {
    service_type: "llm",
    service_name: "gpt-4o",
    // Amounts are decimals: a string keeps them exact.
    api_cost: "0.0042",
    metadata: { input_tokens: 1200, output_tokens: 340, question: "Was kostet das – 3 €?" },
  });
  const lookups = [1, 2].map((quantity) =>
    usageEvent(organization, user, { service_type: "contact_lookup", quantity }),
  );
  await publish(channel, [answer]);
  await publish(channel, lookups);
  for (const event of [answer, ...lookups]) {
    console.log(event.id);
  }
} finally {
  await connection.close();
}
