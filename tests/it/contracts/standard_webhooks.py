"""Has the Standard Webhooks library verify what it is given: a JSON list of secret, headers and body
on standard input; prints for each what the library says of it."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def said(case):
    try:
        event = Webhook(case["secret"]).verify(case["body"].encode(), case["headers"])
    except WebhookVerificationError as error:
        return "refused: " + str(error)
    return "verified " + event["id"]


print(json.dumps([said(case) for case in json.load(sys.stdin)]))
