/** A random UUID; pages that came by plain HTTP have no `crypto.randomUUID`. */
export function newId() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte, at) => {
    const value = at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte;
    return value.toString(16).padStart(2, "0");
  });
  return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
