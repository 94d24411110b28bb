import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** Iterations Postgres itself uses by default (scram_iterations). */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const DIGEST_BYTES = 32;
/** Printable ASCII: for these SASLprep (RFC 4013) changes nothing. */
const PLAIN_PASSWORD = /^[\x21-\x7e]{8,128}$/;

/**
 * The SCRAM-SHA-256 verifier Postgres stores instead of a password (RFC 5803 form): made here, so that the password
 * itself never reaches the server, its statement log or an error. Throws TypeError, without the password, for one that
 * is not 8 to 128 printable ASCII characters.
 */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(SALT_BYTES)): string {
  if (!PLAIN_PASSWORD.test(password)) throw new TypeError('the password must be 8 to 128 printable ASCII characters');
  const salted = pbkdf2Sync(password, salt, ITERATIONS, DIGEST_BYTES, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
