from flask import Flask, request
import requests

app = Flask(__name__)

@app.route('/webhook/end-call', methods=['POST'])
def webhook_end_call():
    """Webhook to end a call based on external trigger."""
    data = request.json
    call_id = data.get('call_id')

    if not call_id:
        return {"error": "Missing call_id"}, 400

    # End the call
    response = requests.post(
        f"http://localhost:8080/api/calls/{call_id}/end"
    )

    return response.json()
