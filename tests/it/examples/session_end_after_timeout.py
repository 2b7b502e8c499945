import requests
import threading

def end_call_after_timeout(call_id, timeout_seconds):
    """End a call after specified timeout."""
    def end_call():
        requests.post(f"http://localhost:8080/api/calls/{call_id}/end")
        print(f"Call {call_id} ended after {timeout_seconds}s")

    timer = threading.Timer(timeout_seconds, end_call)
    timer.start()
    return timer

# Initiate call
response = requests.post(
    "http://localhost:8080/api/call",
    json={"to": "+1234567890", "webhook_url": "https://your-url.ngrok.io"}
)

call_id = response.json()["call_id"]

# Auto-end after 60 seconds
end_call_after_timeout(call_id, 60)
