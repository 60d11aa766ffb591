/** The product's own icons, a chip with one slice taken; all others are JupyterLab's. */

import { LabIcon } from '@jupyterlab/ui-components';

const PINS =
  'M8 1h1.5v3H8zM11.3 1h1.5v3h-1.5zM14.5 1H16v3h-1.5zM8 20h1.5v3H8zM11.3 20h1.5v3h-1.5z' +
  'M14.5 20H16v3h-1.5zM1 8h3v1.5H1zM1 11.3h3v1.5H1zM1 14.5h3V16H1z' +
  'M20 8h3v1.5h-3zM20 11.3h3v1.5h-3zM20 14.5h3V16h-3z';
const BODY = 'M6 4h12a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zm0 2v12h12V6z';
const SLICE = 'M8 8h3.6v8H8z';
const REST = 'M12.8 8H16v3.5h-3.2zM12.8 12.5H16V16h-3.2z';

export const gpuIcon = new LabIcon({
  name: 'gpu-workbench:gpu',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161" fill-rule="evenodd">
    <path d="${PINS}"/><path d="${BODY}"/><path d="${SLICE}"/><path d="${REST}" opacity=".5"/>
  </g>
</svg>`
});

export const dashboardIcon = new LabIcon({
  name: 'gpu-workbench:dashboard',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="52" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161" fill-rule="evenodd">
    <path d="M4 4h16a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zm0 2v12h16V6z"/>
    <path d="M5.5 7.5h3v3h-3zM9.5 7.5h3v3h-3zM5.5 11.5h3v3h-3z" opacity=".45"/>
  </g>
  <path class="jp-icon-brand0" fill="#1976d2" d="M9.5 11.5h3v3h-3zM13.5 7.5h5v3h-5z"/>
  <path class="jp-icon3" fill="#616161" d="M13.6 16.6l-.9-.9 2.6-2.9 1.6 1.4 2.2-2.6 1 .8-3.1 3.6-1.6-1.4z"/>
</svg>`
});

export const sliceIcon = new LabIcon({
  name: 'gpu-workbench:slice',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="52" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161" fill-rule="evenodd">
    <path d="${PINS}"/><path d="${BODY}"/><path d="${REST}" opacity=".4"/>
  </g>
  <path class="jp-icon-brand0" fill="#1976d2" d="${SLICE}"/>
</svg>`
});

/** Curves that come down on several ranks: a training run. */
export const jobIcon = new LabIcon({
  name: 'gpu-workbench:job',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="52" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161" fill-rule="evenodd">
    <path d="M4 4h1.8v14.2H20V20H4z"/>
  </g>
  <path class="jp-icon-brand0" fill="#1976d2" d="M7.6 5.2l1.6-.8c1.4 4.4 4.6 8.9 10.5 9.9l-.3 1.7C12.800 14.900 9.200 9.900 7.600 5.200z"/>
  <path class="jp-icon3" fill="#616161" opacity=".6" d="M11 5.200l1.400-.8c1.300 2.600 3.500 4.500 7.300 5.300l-.4 1.500c-4.300-.9-6.900-3.200-8.300-6z"/>
</svg>`
});
