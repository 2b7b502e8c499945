import requests

MAX_CONCURRENT_CALLS = 10

# Check current load
calls = requests.get("http://localhost:8080/api/calls").json()

if calls["count"] < MAX_CONCURRENT_CALLS:
    # Safe to initiate new call
    response = requests.post(
        "http://localhost:8080/api/call",
        json={"to": "+1234567890", "webhook_url": "https://your-url.ngrok.io"}
    )
    print("Call initiated")
else:
    print("Server at capacity, try again later")
