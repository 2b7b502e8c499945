import requests
import time

# Initiate a call
response = requests.post(
    "http://localhost:8080/api/call",
    json={"to": "+1234567890", "webhook_url": "https://your-url.ngrok.io"}
)

call_id = response.json()["call_id"]

# Poll for status
while True:
    calls = requests.get("http://localhost:8080/api/calls").json()
    active_call = next((c for c in calls["calls"] if c["call_id"] == call_id), None)

    if not active_call:
        print("Call ended")
        break

    print(f"Call status: {active_call['status']}")
    time.sleep(2)
