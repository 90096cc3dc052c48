/** Hands a file to the user. */

export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The download has begun by then; the address would keep the file in memory.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** "smear.jpg" gives "smear-detected.csv". */
export function savedName(source: string, ending: string): string {
  const stem = source.replace(/\.[^./\\]+$/, '').replace(/[^\p{L}\p{N}_. -]+/gu, '_').trim();
  return `${stem || 'image'}-detected.${ending}`;
}
