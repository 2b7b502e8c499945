await fetch('https://api.example.com/api/v1/agents/agent-uuid/end-call', {
  method: 'POST',
  headers: {
    'Authorization': 'Bearer YOUR_API_KEY',
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({ call_sid: 'call-uuid-123' })
});
