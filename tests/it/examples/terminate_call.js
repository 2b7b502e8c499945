const axios = require('axios');

async function terminateCall(callSid) {
  try {
    const response = await axios.post(
      `https://api.example.com/api/v1/calls/${callSid}/terminate`,
      {},
      {
        headers: { 'Authorization': 'Bearer YOUR_API_KEY' }
      }
    );
    
    console.log('Call terminated:', response.data);
    return response.data;
  } catch (error) {
    console.error('Failed to terminate:', error.response.data.detail);
    throw error;
  }
}
