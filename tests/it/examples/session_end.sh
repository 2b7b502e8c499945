curl -X POST http://localhost:8080/api/calls/a1b2c3d4-e5f6-7890-abcd-ef1234567890/end
