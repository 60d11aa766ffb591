/** The product's own icons; all others are JupyterLab's. */

import { LabIcon } from '@jupyterlab/ui-components';

const card = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M3 4h2v16H3z"/>
    <path fill-rule="evenodd" d="M7 6h13a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H7zm2 2v7h10V8z"/>
    <path d="M10 9.5h2v4h-2zM13 11h2v2.5h-2zM16 9.5h2v4h-2zM9 18h2v2H9zM12 18h2v2h-2zM15 18h2v2h-2z"/>
  </g>
</svg>`;

export const gpuIcon = new LabIcon({ name: 'gpu-workbench:gpu', svgstr: card });

const slice = `<svg xmlns="http://www.w3.org/2000/svg" width="52" viewBox="0 0 24 24">
  <g class="jp-icon-brand0" fill="#1976d2">
    <path d="M3 4h2v16H3z"/>
    <path fill-rule="evenodd" d="M7 6h13a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H7zm2 2v7h10V8z"/>
    <path d="M9 18h2v2H9zM12 18h2v2h-2zM15 18h2v2h-2z"/>
  </g>
  <g class="jp-icon-accent0" fill="#ff9800"><path d="M10 9h3v5h-3z"/></g>
</svg>`;

export const sliceIcon = new LabIcon({ name: 'gpu-workbench:slice', svgstr: slice });
