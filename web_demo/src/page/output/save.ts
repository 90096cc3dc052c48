/** Saves files through the browser's download. */

/** Start a download of `content` as `name`. */
export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // By then the download has started; without revoking, the URL would keep the content in memory.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** File name for saved results: "smear.jpg" gives "smear-detected.csv". */
export function savedName(source: string, extension: string, end = 'detected'): string {
  const stem = source.replace(/\.[^./\\]+$/, '').replace(/[^\p{L}\p{N}_. -]+/gu, '_').trim();
  return `${stem || 'image'}-${end}.${extension}`;
}
