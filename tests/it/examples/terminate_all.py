import requests

def terminate_all_active_calls():
    # First, get all ongoing calls
    calls_response = requests.get(
        "https://api.example.com/api/v1/calls",
        headers={"Authorization": "Bearer YOUR_API_KEY"},
        params={"status": "ongoing"}
    )
    
    ongoing_calls = calls_response.json()["items"]
    
    # Terminate each one
    for call in ongoing_calls:
        terminate_call(call["call_sid"])
        print(f"Terminated call {call['call_sid']}")
