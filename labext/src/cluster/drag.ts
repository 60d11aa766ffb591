/** Client code that is dragged into a notebook, as a cell of its own where it is dropped. */

import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';

import { clientCode } from './code';

/** What JupyterLab's notebooks take in. */
const CELLS = 'application/vnd.jupyter.cells';

/** Pixels that the pointer moves before a press is a drag. */
const FAR = 5;

/** The cells that a notebook gets, and the text for whatever else takes a drop. */
export function codeToDrop(name: string): MimeData {
  const source = clientCode(name);
  const data = new MimeData();
  data.setData(CELLS, [
    { cell_type: 'code', source, metadata: {}, outputs: [], execution_count: null }
  ]);
  data.setData('text/plain', source);
  return data;
}

/** Drag it from that point; resolves when it is dropped, or given up. */
export async function dragCode(
  name: string,
  from: { clientX: number; clientY: number }
): Promise<void> {
  const image = document.createElement('pre');
  image.className = 'gw-drag';
  image.textContent = clientCode(name);
  const drag = new Drag({
    mimeData: codeToDrop(name),
    dragImage: image,
    proposedAction: 'copy',
    supportedActions: 'copy'
  });
  await drag.start(from.clientX, from.clientY);
  drag.dispose();
}

/** Call `go` once if the pointer, now pressed, is moved away before it is let go. */
export function whenDragged(press: PointerEvent, go: (at: PointerEvent) => void): void {
  const end = (): void => {
    document.removeEventListener('pointermove', moved, true);
    document.removeEventListener('pointerup', end, true);
    document.removeEventListener('pointercancel', end, true);
  };
  const moved = (at: PointerEvent): void => {
    if (Math.hypot(at.clientX - press.clientX, at.clientY - press.clientY) >= FAR) {
      end();
      go(at);
    }
  };
  document.addEventListener('pointermove', moved, true);
  document.addEventListener('pointerup', end, true);
  document.addEventListener('pointercancel', end, true);
}
