// CRC-32 as zip and gzip have it: the polynomial 0xEDB88320, bits reversed.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  }
  return remainder;
});

/**
 * @param {Uint8Array} bytes
 * @param {number} [before] the sum of what came before them
 * @returns {number} the sum of all so far
 */
export function crc32(bytes, before = 0) {
  let remainder = ~before;
  for (let i = 0; i < bytes.length; i++) {
    remainder = (remainder >>> 8) ^ TABLE[(remainder ^ bytes[i]) & 0xff];
  }
  return ~remainder >>> 0;
}
