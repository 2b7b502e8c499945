curl -X POST https://your-domain.com/api/v1/admin/cancel/call_abc123 \
  -H "X-Admin-Token: your-admin-token"
