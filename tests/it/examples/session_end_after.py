import requests
import time

# Initiate a call
response = requests.post(
    "http://localhost:8080/api/call",
    json={
        "to": "+1234567890",
        "prompt": "You are making a quick announcement.",
        "webhook_url": "https://your-ngrok-url.ngrok.io"
    }
)

call_id = response.json()["call_id"]
print(f"Call initiated: {call_id}")

# Wait for 30 seconds
time.sleep(30)

# End the call
end_response = requests.post(f"http://localhost:8080/api/calls/{call_id}/end")
print(f"Call ended: {end_response.json()}")
