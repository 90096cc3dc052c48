import { useEffect, useRef, useState } from 'react';

import { detect, type Detection } from './client.js';
import { draw } from './draw';
import { useModel } from './useModel';

export function App() {
  const { model, error } = useModel();
  const [file, setFile] = useState<File>();
  const [live, setLive] = useState(false);
  const [message, setMessage] = useState('');
  const [detections, setDetections] = useState<Detection[]>([]);
  const canvas = useRef<HTMLCanvasElement>(null);

  // One image: detect when the file or the model changes.
  useEffect(() => {
    if (!model || !file || live) return;
    let current = true;
    (async () => {
      const image = await createImageBitmap(file);
      const start = performance.now();
      const found = await detect(model, image);
      if (!current) return image.close();
      draw(canvas.current!, image, image.width, image.height, found);
      image.close();
      setDetections(found);
      setMessage(`${found.length} detections in ${(performance.now() - start).toFixed(0)} ms`);
    })().catch((reason) => setMessage(String(reason)));
    return () => {
      current = false;
    };
  }, [model, file, live]);

  // Camera: detect frame after frame until `live` becomes false.
  useEffect(() => {
    if (!model || !live) return;
    let current = true;
    let stream: MediaStream | undefined;
    (async () => {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      const video = document.createElement('video');
      video.srcObject = stream;
      video.muted = video.playsInline = true;
      await video.play();
      while (current) {
        const frame = await createImageBitmap(video); // the boxes belong to this frame, not to a later one
        const start = performance.now();
        const found = await detect(model, frame);
        if (current) draw(canvas.current!, frame, frame.width, frame.height, found);
        frame.close();
        if (!current) break;
        setDetections(found);
        setMessage(`${found.length} detections, ${(performance.now() - start).toFixed(0)} ms per frame`);
        await new Promise(requestAnimationFrame); // let the page draw
      }
    })()
      .catch((reason) => {
        if (!current) return;
        setMessage(String(reason));
        setLive(false);
      })
      .finally(() => stream?.getTracks().forEach((track) => track.stop()));
    return () => {
      current = false;
    };
  }, [model, live]);

  const counts = new Map<string, number>();
  for (const { name } of detections) counts.set(name, (counts.get(name) ?? 0) + 1);

  return (
    <main style={{ fontFamily: 'system-ui, sans-serif', maxWidth: 720, margin: '1rem auto', padding: '0 1rem' }}>
      <h1>Object detection in React</h1>
      {error ? <p role="alert">The model cannot be loaded: {error}</p> : !model && <p>Loading the model ...</p>}
      <p>
        <input type="file" accept="image/*" aria-label="Image" onChange={(event) => setFile(event.target.files?.[0])} />{' '}
        <button disabled={!model} onClick={() => setLive(!live)}>
          {live ? 'Stop the camera' : 'Use the camera'}
        </button>
      </p>
      <canvas ref={canvas} style={{ maxWidth: '100%' }} />
      <p role="status">{message}</p>
      <ul>
        {[...counts].map(([name, count]) => (
          <li key={name}>
            {name}: {count}
          </li>
        ))}
      </ul>
    </main>
  );
}
