import { createDetector, DetectorError } from './tfyolo/index.js';

const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'];
const [file, camera, confidence, canvas, status] = ['file', 'camera', 'confidence', 'canvas', 'status'].map((id) =>
  document.getElementById(id),
);

let detector;
let photo; // the image on the page, if it is not the camera's
let stream; // the camera, if it is on

/** Detect in an image or video frame, and draw it with its boxes. */
async function show(source, width, height) {
  const { detections, timing } = await detector.detect(source, { confidence: Number(confidence.value) });
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  context.drawImage(source, 0, 0, width, height);
  context.lineWidth = Math.max(width / 320, 2);
  context.font = `${Math.max(width / 40, 12)}px system-ui, sans-serif`;
  for (const { label, score, classId, box } of detections) {
    context.fillStyle = context.strokeStyle = COLORS[classId % COLORS.length];
    context.strokeRect(box.x, box.y, box.width, box.height);
    context.fillText(`${label} ${score.toFixed(2)}`, box.x, Math.max(box.y - 4, 12));
  }
  const milliseconds = timing.preprocess + timing.inference + timing.postprocess;
  status.textContent = `${detections.length} detections in ${milliseconds.toFixed(0)} ms on ${detector.choice.engine}`;
}

/** Run an asynchronous function; its errors are shown on the page. */
async function guarded(action) {
  try {
    await action();
  } catch (error) {
    status.textContent = error instanceof DetectorError ? `${error.message} ${error.fix}` : String(error);
  }
}

file.onchange = () =>
  guarded(async () => {
    if (!file.files[0]) return;
    photo = await createImageBitmap(file.files[0]);
    await showPhoto();
  });

confidence.oninput = () => guarded(showPhoto);

async function showPhoto() {
  if (detector && photo && !stream) await show(photo, photo.width, photo.height);
}

camera.onclick = () =>
  guarded(async () => {
    if (stream) return stopCamera();
    camera.disabled = true; // until the user has decided
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    } finally {
      camera.disabled = false;
    }
    camera.textContent = 'Stop the camera';
    const video = Object.assign(document.createElement('video'), { srcObject: stream, muted: true, playsInline: true });
    try {
      await video.play();
      while (stream) await showFrame(video);
    } finally {
      stopCamera();
    }
  });

async function showFrame(video) {
  const frame = await createImageBitmap(video); // the boxes belong to this frame, not to a later one
  try {
    await show(frame, frame.width, frame.height);
  } finally {
    frame.close();
  }
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  camera.textContent = 'Use the camera';
}

await guarded(async () => {
  detector = await createDetector({ model: 'best.tflite', wasmFolder: new URL('tfyolo/', location.href) });
  camera.disabled = false;
  status.textContent = `Ready: ${detector.contract.classNames.join(', ')}`;
  await showPhoto();
});
