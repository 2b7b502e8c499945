// Has the Standard Webhooks library verify what it is given: a JSON list of secret, headers and body
// on standard input; prints for each what the library says of it. PACKAGES names its node_modules.
"use strict";

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const load = createRequire(process.env.PACKAGES + "/");
const { Webhook, WebhookVerificationError } = load("standardwebhooks");

function said({ secret, headers, body }) {
  try {
    const event = new Webhook(secret).verify(body, headers);
    // Some versions return the event, others only check it.
    return "verified " + (event ?? JSON.parse(body)).id;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return "refused: " + error.message;
    throw error;
  }
}

const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(said)));
