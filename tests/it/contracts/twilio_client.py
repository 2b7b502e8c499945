"""A customer that uses Twilio's own package: places, reads, lists and ends a call.

Whatever the package does not understand, or understands as something else, fails.
"""

import json
import os
import time

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

ACCOUNT = os.environ["ACCOUNT"]
TOKEN = json.loads(os.environ["CREDENTIALS"])["auth_token"]


def client(token):
    made = Client(ACCOUNT, token)
    made.api.base_url = os.environ["API"]
    return made


def refused(ask):
    try:
        answer = ask()
    except TwilioRestException as refusal:
        return refusal.status, refusal.code
    raise AssertionError(f"not refused: {answer}")


twilio = client(TOKEN)

call = twilio.calls.create(
    to="+15550101",
    from_="+15550100",
    twiml="<Response><Say>Hello</Say></Response>",
    status_callback="http://127.0.0.1:9/reports",
    status_callback_event=["initiated", "completed"],
    timeout=45,
    time_limit=1800,
)
assert call.sid.startswith("CA"), call.sid
assert call.account_sid == ACCOUNT
assert call.status == "queued", call.status
assert call.direction == "outbound-api", call.direction
assert call.end_time is None and call.duration is None
assert call.date_created.tzinfo is not None, call.date_created

read = twilio.calls(call.sid).fetch()
deadline = time.monotonic() + 30
while read.status != "in-progress":
    assert time.monotonic() < deadline, read.status
    read = twilio.calls(call.sid).fetch()
assert read.to == "+15550101" and read._from == "+15550100"

other = twilio.calls.create(to="+15550102", from_="+15550100", twiml="<Response/>")
listed = twilio.calls.list(to="+15550101", page_size=1)
assert [one.sid for one in listed] == [call.sid], listed
# The package follows the pages by itself.
assert [one.sid for one in twilio.calls.list(page_size=1)] == [other.sid, call.sid]
assert twilio.calls(other.sid).update(status="completed").status in ("completed", "canceled")

ended = twilio.calls(call.sid).update(status="completed")
assert ended.status == "completed", ended.status
assert ended.end_time is not None and int(ended.duration) >= 0
assert twilio.calls(call.sid).fetch().status == "completed"

again = refused(lambda: twilio.calls(call.sid).update(status="completed"))
assert again == (400, 21220), again
unknown = refused(lambda: twilio.calls("CA" + 32 * "0").fetch())
assert unknown == (404, 20404), unknown
no_number = refused(lambda: twilio.calls.create(to="", from_="+15550100", twiml="<Response/>"))
assert no_number[0] == 400, no_number
stranger = refused(lambda: client("wrong").calls(call.sid).fetch())
assert stranger == (401, 20003), stranger

print(call.sid)
