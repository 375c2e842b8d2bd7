/** Errors on their way between threads. */
import { CancelledError, UserError, type ExitCode } from '../errors';
import type { SerialisedError } from './protocol';

export function serialiseError(error: unknown): SerialisedError {
  if (error instanceof UserError) {
    return { name: error.name, message: error.message, exitCode: error.exitCode };
  }
  if (error instanceof Error) {
    return { name: error.name, message: error.message, ...(error.stack && { stack: error.stack }) };
  }
  return { name: 'Error', message: String(error) };
}

export function reviveError({ name, message, exitCode, stack }: SerialisedError): Error {
  if (name === 'CancelledError') return new CancelledError();
  const error = exitCode === undefined ? new Error(message) : new UserError(message, exitCode as ExitCode);
  error.name = name;
  if (stack) error.stack = stack;
  return error;
}
