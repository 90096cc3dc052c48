import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './', // relative addresses: the built page works in any folder of a web server
  plugins: [react()],
});
