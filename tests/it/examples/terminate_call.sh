curl -X POST "https://api.example.com/api/v1/calls/CAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/terminate" \
  -H "Authorization: Bearer YOUR_API_KEY"
