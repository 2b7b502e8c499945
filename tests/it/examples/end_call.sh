curl -X POST "https://api.example.com/api/v1/agents/agent-uuid/end-call" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{ "call_sid": "call-uuid-123" }'
