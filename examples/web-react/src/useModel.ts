import type { CompiledModel } from '@litertjs/core';
import { useEffect, useState } from 'react';

import { load } from './client.js';

/** Load once per page: in development, React's StrictMode mounts components twice. */
let loading: Promise<CompiledModel> | undefined;

/** The model, or the error of loading it, or neither while it loads. */
export function useModel(): { model?: CompiledModel; error?: string } {
  const [state, setState] = useState<{ model?: CompiledModel; error?: string }>({});
  useEffect(() => {
    loading ??= load('best.tflite', 'wasm/');
    loading.then(
      (model) => setState({ model }),
      (error: unknown) => setState({ error: String(error) }),
    );
  }, []);
  return state;
}
