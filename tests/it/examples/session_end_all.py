import requests

# Get all active calls
calls_response = requests.get("http://localhost:8080/api/calls")
calls = calls_response.json()["calls"]

print(f"Ending {len(calls)} active calls...")

# End each call
for call in calls:
    response = requests.post(f"http://localhost:8080/api/calls/{call['call_id']}/end")
    result = response.json()
    if result["success"]:
        print(f"✓ Ended call {call['call_id']}")
    else:
        print(f"✗ Failed to end {call['call_id']}: {result['error']}")
