/**
 * All that comes from TensorFlow.js itself. It is large and few ever need it: the build makes a file of its
 * own of it, which is read when that engine is chosen.
 */
export { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
export { setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm';
export { api } from './api';
