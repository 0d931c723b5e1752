// NumPy's file format, as far as the server uses it: little-endian float32, C order.

/**
 * @param {ArrayBuffer} file
 * @returns {Float32Array} all values in a row
 */
export function readNpy(file) {
  const headerLength = new DataView(file).getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(file, 10, headerLength));
  if (!header.includes("'<f4'")) throw new Error(`expected float32 values, got ${header}`);
  return new Float32Array(file.slice(10 + headerLength));
}
