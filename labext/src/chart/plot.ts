/**
 * The life of a chart that uPlot draws: made with its component, anew with the theme, gone with it.
 *
 * It is drawn when told, only while it is in view, and at most once a frame. What is drawn, and what
 * stands around it, is not known here.
 */

import type { ISignal } from '@lumino/signaling';
import type { RefObject } from 'react';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';

export interface IPlot {
  options: (host: HTMLElement) => uPlot.Options;
  /** Put what there is now into the chart. */
  draw: (chart: uPlot) => void;
  /** There is something new to draw. */
  drawn: ISignal<unknown, unknown>;
  /** Colours have to be read again. */
  themeChanged: ISignal<unknown, unknown> | null;
}

/**
 * @param made what the options depend on: another one makes the chart anew
 * @returns where the chart is drawn, to be given to an element, and the chart while there is one
 */
export function usePlot(
  plot: IPlot,
  made = ''
): { host: RefObject<HTMLDivElement>; chart: RefObject<uPlot> } {
  const { drawn, themeChanged } = plot;
  const host = useRef<HTMLDivElement>(null);
  const shown = useRef<uPlot | null>(null);
  const latest = useRef(plot);
  latest.current = plot;

  useEffect(() => {
    const node = host.current;
    if (!node) {
      return;
    }
    let frame = 0;
    let inView = typeof IntersectionObserver === 'undefined';
    const draw = (): void => {
      frame = 0;
      if (shown.current) {
        latest.current.draw(shown.current);
      }
    };
    const later = (): void => {
      if (inView && !frame) {
        frame = requestAnimationFrame(draw);
      }
    };
    const build = (): void => {
      shown.current?.destroy();
      shown.current = new uPlot(latest.current.options(node), [[]], node);
      draw();
    };
    const resized = new ResizeObserver(() => {
      const chart = shown.current;
      if (chart && node.clientWidth && node.clientWidth !== chart.width) {
        chart.setSize({ width: node.clientWidth, height: chart.height });
      }
    });
    const seen =
      typeof IntersectionObserver === 'undefined'
        ? null
        : new IntersectionObserver(found => {
            inView = found.at(-1)?.isIntersecting ?? false;
            later();
          });
    build();
    resized.observe(node);
    seen?.observe(node);
    drawn.connect(later);
    themeChanged?.connect(build);
    return () => {
      cancelAnimationFrame(frame);
      drawn.disconnect(later);
      themeChanged?.disconnect(build);
      resized.disconnect();
      seen?.disconnect();
      shown.current?.destroy();
      shown.current = null;
    };
  }, [drawn, themeChanged, made]);

  return { host, chart: shown };
}
