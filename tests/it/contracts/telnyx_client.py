"""A customer that uses Telnyx' own package: places, reads, lists and ends a call.

Whatever the package does not understand, or understands as something else, fails.
"""

import base64
import json
import os
import time

from telnyx import (
    APIStatusError,
    AuthenticationError,
    NotFoundError,
    Telnyx,
    UnprocessableEntityError,
)

CONNECTION = os.environ["ACCOUNT"]
KEY = json.loads(os.environ["CREDENTIALS"])["api_key"]


def client(key):
    return Telnyx(
        api_key=key,
        base_url=os.environ["API"] + "/v2",
        max_retries=0,
        _strict_response_validation=True,
    )


def refused(ask):
    try:
        answer = ask()
    except APIStatusError as refusal:
        codes = [error["code"] for error in refusal.response.json()["errors"]]
        return type(refusal), codes
    raise AssertionError(f"not refused: {answer}")


def dial(to, **more):
    placed = telnyx.calls.dial(connection_id=CONNECTION, to=to, from_="+15550100", **more)
    return placed.data


telnyx = client(KEY)

state = base64.b64encode(b"ours").decode()
call = dial(
    "+15550101",
    client_state=state,
    command_id="11111111-1111-4111-8111-111111111111",
    timeout_secs=45,
    time_limit_secs=1800,
    webhook_url="http://127.0.0.1:9/reports",
    webhook_url_method="POST",
)
assert call.call_control_id.startswith("v3:"), call
assert call.is_alive is False, call
assert call.client_state == state, call

read = telnyx.calls.retrieve_status(call.call_control_id).data
deadline = time.monotonic() + 30
while not read.is_alive:
    assert time.monotonic() < deadline, read
    read = telnyx.calls.retrieve_status(call.call_control_id).data
assert read.end_time is None and read.start_time is not None, read
assert read.call_leg_id == call.call_leg_id

other = dial("+15550102")
assert telnyx.calls.retrieve_status(other.call_control_id).data.client_state in (None, "")
listed = telnyx.connections.list_active_calls(CONNECTION, page_size=1)
assert [one.call_control_id for one in listed.data] == [other.call_control_id], listed
listed = telnyx.connections.list_active_calls(CONNECTION, page_size=1, page_number=2)
assert [one.call_control_id for one in listed.data] == [call.call_control_id], listed
# The package follows the pages by itself.
every = [one.call_control_id for one in telnyx.connections.list_active_calls(CONNECTION)]
assert every == [other.call_control_id, call.call_control_id], every
assert telnyx.calls.actions.hangup(other.call_control_id).data.result == "ok"

command = "22222222-2222-4222-8222-222222222222"
taken = telnyx.calls.actions.hangup(call.call_control_id, command_id=command)
assert taken.data.result == "ok", taken
deadline = time.monotonic() + 30
while read.end_time is None:
    assert time.monotonic() < deadline, read
    read = telnyx.calls.retrieve_status(call.call_control_id).data
assert read.is_alive is False and read.call_duration >= 0, read

again = refused(lambda: telnyx.calls.actions.hangup(call.call_control_id))
assert again == (UnprocessableEntityError, ["90018"]), again
unknown = refused(lambda: telnyx.calls.actions.hangup("v3:AAAAAAAAAAAAAAAAAAAAAA"))
assert unknown == (UnprocessableEntityError, ["90015"]), unknown
unknown = refused(lambda: telnyx.calls.retrieve_status("v3:AAAAAAAAAAAAAAAAAAAAAA"))
assert unknown == (NotFoundError, ["10005"]), unknown
no_number = refused(lambda: dial("12"))
assert no_number == (UnprocessableEntityError, ["10016"]), no_number
stranger = refused(lambda: client("KEYwrong").calls.retrieve_status(call.call_control_id))
assert stranger == (AuthenticationError, ["10009"]), stranger

print(call.call_control_id)
