"""A customer that uses Vonage's own package: places, reads, lists and ends a call.

Whatever the package does not understand, or understands as something else, fails.
"""

import json
import os
import time
from datetime import datetime, timedelta, timezone

from requests.adapters import HTTPAdapter
from vonage import Auth, Vonage
from vonage_http_client.errors import AuthenticationError, HttpRequestError, NotFoundError
from vonage_voice.models.common import Phone
from vonage_voice.models.requests import CreateCallRequest, ListCallsFilter, ToPhone

CREDENTIALS = json.loads(os.environ["CREDENTIALS"])
HOST = "https://api.nexmo.com"


class Here(HTTPAdapter):
    """The package goes to https hosts only: what is meant for Vonage's comes here."""

    def send(self, request, **how):
        assert request.url.startswith(HOST + "/"), request.url
        request.url = os.environ["API"] + request.url.removeprefix(HOST)
        return super().send(request, **how)


def client(application):
    made = Vonage(Auth(application_id=application, private_key=CREDENTIALS["private_key"]))
    made.http_client._session.mount("https://", Here())
    return made.voice


def refused(ask):
    try:
        answer = ask()
    except HttpRequestError as refusal:
        return type(refusal), refusal.response.json()
    raise AssertionError(f"not refused: {answer}")


def create(to):
    return voice.create_call(
        CreateCallRequest(
            to=[ToPhone(number=to)],
            from_=Phone(number="15550120"),
            answer_url=["http://127.0.0.1:9/answer"],
            answer_method="POST",
            event_url=["http://127.0.0.1:9/events"],
            event_method="POST",
            ringing_timer=45,
            length_timer=1800,
        )
    )


def listed(**by):
    return [call.uuid for call in voice.list_calls(ListCallsFilter(**by))[0]]


voice = client(CREDENTIALS["application_id"])

call = create("15550101")
assert (call.status, call.direction) == ("started", "outbound"), call
assert call.conversation_uuid.startswith("CON-"), call

read = voice.get_call(call.uuid)
deadline = time.monotonic() + 30
while read.status != "answered":
    assert time.monotonic() < deadline, read
    read = voice.get_call(call.uuid)
assert (read.to.number, read.from_.number) == ("15550101", "15550120"), read
assert read.conversation_uuid == call.conversation_uuid, read
assert read.start_time is None and read.duration is None, read
assert read.link == f"/calls/{call.uuid}", read

other = create("15550102")
assert listed() == [call.uuid, other.uuid]
assert listed(order="desc") == [other.uuid, call.uuid]
assert listed(page_size=1) == [call.uuid]
assert listed(page_size=1, record_index=1) == [other.uuid]
assert listed(conversation_uuid=other.conversation_uuid) == [other.uuid]
now = datetime.now(timezone.utc)
assert listed(date_start=(now + timedelta(hours=1)).isoformat()) == []
assert listed(date_end=(now + timedelta(hours=1)).isoformat()) == [call.uuid, other.uuid]
voice.hangup(other.uuid)

voice.hangup(call.uuid)
deadline = time.monotonic() + 30
while read.status != "completed":
    assert time.monotonic() < deadline, read
    read = voice.get_call(call.uuid)
assert int(read.duration) >= 0, read
datetime.strptime(read.start_time, "%Y-%m-%d %H:%M:%S")
datetime.strptime(read.end_time, "%Y-%m-%d %H:%M:%S")
assert call.uuid in listed(status="completed")
assert listed(status="answered") == []

UNKNOWN = "00000000-0000-4000-8000-000000000000"
for ask in (
    lambda: voice.hangup(call.uuid),
    lambda: voice.hangup(UNKNOWN),
    lambda: voice.get_call(UNKNOWN),
):
    kind, problem = refused(ask)
    assert (kind, problem["title"]) == (NotFoundError, "Not Found"), problem
kind, problem = refused(lambda: client(UNKNOWN).get_call(call.uuid))
assert (kind, problem["title"]) == (AuthenticationError, "Unauthorized"), problem

print(call.uuid)
