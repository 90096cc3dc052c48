/** Plays video files. */

import { formatClock } from '../format';
import { byId, setText } from '../view/dom';

/** Attach a file to the video element; the returned function detaches it. */
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

/** Connect the seek slider to the video element. */
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
