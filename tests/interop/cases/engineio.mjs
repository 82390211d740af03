export default { name: 'engineio', backend: 'none', cases: [] };
