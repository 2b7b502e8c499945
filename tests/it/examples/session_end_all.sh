#!/bin/bash
# end-all-calls.sh

echo "Ending all active calls..."

# Get all calls
calls=$(curl -s http://localhost:8080/api/calls | jq -r '.calls[].call_id')

# End each call
for call_id in $calls; do
  echo "Ending call: $call_id"
  curl -X POST "http://localhost:8080/api/calls/$call_id/end"
done

echo "All calls ended"
