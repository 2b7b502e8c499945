// Fetch and display active calls every 3 seconds
setInterval(async () => {
  const response = await fetch('http://localhost:8080/api/calls');
  const data = await response.json();

  document.getElementById('call-count').textContent = data.count;

  const callList = document.getElementById('call-list');
  callList.innerHTML = data.calls.map(call => `
    <div class="call-item">
      <span class="call-id">${call.call_id}</span>
      <span class="call-status">${call.status}</span>
      <span class="call-direction">${call.direction}</span>
      <button onclick="endCall('${call.call_id}')">End Call</button>
    </div>
  `).join('');
}, 3000);
