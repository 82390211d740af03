export default { name: 'websocket', backend: 'none', cases: [] };
