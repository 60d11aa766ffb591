import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: 'labext',
  test: {
    globals: true,
    environment: 'jsdom',
    include: ['test/**/*.spec.ts?(x)'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000, // a busy machine is slow at random
    // JupyterLab's packages are written for bundlers: Node can't import them as they are.
    server: { deps: { inline: [/@jupyterlab/, /@lumino/, /@jupyter\//, /@rjsf/, /uplot/] } }
  }
});
