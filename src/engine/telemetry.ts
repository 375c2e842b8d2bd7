/**
 * onnxruntime's releases report their use to their maker, and keep a device's number in the person's cache
 * folder, unless this stands in the environment when it is loaded. Threads have but a copy of the environment,
 * so it is set where they are started as well.
 */
export function refuseTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY = '1';
}
