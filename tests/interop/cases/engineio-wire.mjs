export default { name: 'engineio-wire', backend: 'none', cases: [] };
