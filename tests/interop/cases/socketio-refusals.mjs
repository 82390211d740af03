export default { name: 'socketio-refusals', backend: 'none', cases: [] };
