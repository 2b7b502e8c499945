//! The websocket by itself.
