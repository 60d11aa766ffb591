/**
 * Lines of a log in a window of their own: only those in view are in the page, however many there are.
 * Lines are not wrapped, so that each has the same height.
 */

import React, { useEffect, useLayoutEffect, useRef, useState } from 'react';

import type { ILook } from '../model/ansi';
import { piecesOf } from '../model/ansi';
import type { LogLines } from '../model/loglines';

export interface ILogTextProps {
  lines: LogLines;
  /** Of a log that is not known from its start nobody can number the lines. */
  numbered: boolean;
  /** The lines to show; null shows all. */
  rows: readonly number[] | null;
  /** To be marked wherever they stand. */
  words: string;
  /** The line to bring into view. */
  marked: number | null;
  follow: boolean;
  setFollow: (follow: boolean) => void;
  /** Changes when there are more lines. */
  version: number;
  label: string;
  nothing: string;
}

/** Pixels; `.gw-log-line` is as high. */
const LINE = 18;
const MARGIN = 30;

export function LogText(props: ILogTextProps): React.ReactElement {
  const { lines, rows, marked, follow, setFollow, version } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const count = rows?.length ?? version;
  const first = Math.max(0, Math.floor(view.top / LINE) - MARGIN);
  const last = Math.min(count, Math.ceil((view.top + view.height) / LINE) + MARGIN);

  useLayoutEffect(() => {
    const node = box.current;
    if (node && follow) {
      node.scrollTop = node.scrollHeight;
    }
  }, [count, follow]);

  useEffect(() => {
    const node = box.current;
    if (node && marked !== null) {
      node.scrollTop = Math.max(0, marked * LINE - node.clientHeight / 2);
    }
  }, [marked]);

  useEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    const measure = (): void => setView({ top: node.scrollTop, height: node.clientHeight });
    const resized = new ResizeObserver(measure);
    resized.observe(node);
    measure();
    return () => resized.disconnect();
  }, []);

  const shown: React.ReactElement[] = [];
  for (let row = first; row < last; row++) {
    const at = rows?.[row] ?? row;
    shown.push(
      <div
        key={at}
        className={`gw-log-line${at === marked ? ' gw-mod-marked' : ''}`}
        data-testid="gw-log-line"
      >
        <span className="gw-log-number" aria-hidden="true">
          {props.numbered ? lines.dropped + at + 1 : ''}
        </span>
        <Pieces line={lines.line(at)} look={lines.look(at)} words={props.words} />
      </div>
    );
  }
  return (
    <div
      ref={box}
      className="gw-log-text"
      role="region"
      tabIndex={0}
      data-testid="gw-logs-text"
      data-lines={count}
      aria-label={props.label}
      onScroll={event => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        setView({ top: scrollTop, height: clientHeight });
        const atEnd = scrollHeight - scrollTop - clientHeight < LINE * 2;
        if (atEnd !== follow && (follow || marked === null)) {
          setFollow(atEnd);
        }
      }}
    >
      {count === 0 && <p className="gw-empty">{props.nothing}</p>}
      <div className="gw-log-all" style={{ height: count * LINE }}>
        <div className="gw-log-window" style={{ top: first * LINE }}>
          {shown}
        </div>
      </div>
    </div>
  );
}

function Pieces(props: { line: string; look: ILook; words: string }): React.ReactElement {
  const pieces = piecesOf(props.line, props.look);
  return (
    <>
      {pieces.map((piece, i) => (
        <span key={i} className={classOf(piece.look)} style={styleOf(piece.look)}>
          <Marked text={piece.text} words={props.words} />
        </span>
      ))}
    </>
  );
}

function Marked(props: { text: string; words: string }): React.ReactElement {
  const { text, words } = props;
  if (!words) {
    return <>{text}</>;
  }
  const parts: React.ReactNode[] = [];
  const low = text.toLowerCase();
  const wanted = words.toLowerCase();
  let at = 0;
  for (let next = low.indexOf(wanted); next >= 0; next = low.indexOf(wanted, at)) {
    const end = next + words.length;
    parts.push(text.slice(at, next), <mark key={next}>{text.slice(next, end)}</mark>);
    at = end;
  }
  parts.push(text.slice(at));
  return <>{parts}</>;
}

/** The sixteen colours are the theme's; the many others are as the program said. */
function classOf(look: ILook): string | undefined {
  const [ink, ground] = look.inverse ? [look.ground, look.ink] : [look.ink, look.ground];
  const names = [
    look.bold ? 'gw-ansi-bold' : '',
    look.dim ? 'gw-ansi-dim' : '',
    look.italic ? 'gw-ansi-italic' : '',
    look.underline ? 'gw-ansi-underline' : '',
    look.inverse && ink === undefined && ground === undefined ? 'gw-ansi-inverse' : '',
    typeof ink === 'number' ? `gw-ansi-${ink}` : '',
    typeof ground === 'number' ? `gw-ansi-ground-${ground}` : ''
  ].filter(Boolean);
  return names.join(' ') || undefined;
}

function styleOf(look: ILook): React.CSSProperties | undefined {
  const [ink, ground] = look.inverse ? [look.ground, look.ink] : [look.ink, look.ground];
  if (typeof ink !== 'string' && typeof ground !== 'string') {
    return undefined;
  }
  return {
    ...(typeof ink === 'string' ? { color: ink } : {}),
    ...(typeof ground === 'string' ? { backgroundColor: ground } : {})
  };
}
