/** A video file. */

import { formatClock } from '../format';
import { byId, setText } from '../view/dom';

/** Give a file to the element; the answer takes it away again. */
export function attachVideo(video: HTMLVideoElement, file: Blob): () => void {
  const address = URL.createObjectURL(file);
  video.loop = true;
  video.src = address;
  return () => {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(address);
  };
}

/** The slider of the position in a file. */
export function showSeek(video: HTMLVideoElement): void {
  const [box, clock] = [byId('seek-box'), byId('seek-clock')];
  const slider = byId<HTMLInputElement>('seek');
  video.ondurationchange = () => {
    box.hidden = !Number.isFinite(video.duration);
    slider.max = String(video.duration || 0);
  };
  video.onemptied = () => (box.hidden = true);
  video.ontimeupdate = () => {
    slider.value = String(video.currentTime);
    const text = `${formatClock(video.currentTime)} of ${formatClock(video.duration)}`;
    setText(clock, text);
    slider.setAttribute('aria-valuetext', text);
  };
  slider.oninput = () => (video.currentTime = slider.valueAsNumber);
}
