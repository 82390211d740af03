export default { name: 'socketio-ends', backend: 'none', cases: [] };
