import requests

def terminate_call(call_sid):
    response = requests.post(
        f"https://api.example.com/api/v1/calls/{call_sid}/terminate",
        headers={"Authorization": "Bearer YOUR_API_KEY"}
    )
    
    if response.status_code == 200:
        print(f"Call {call_sid} terminated successfully")
        return response.json()
    else:
        print(f"Failed to terminate: {response.json()['detail']}")
        return None
