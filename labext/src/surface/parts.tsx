/** Small parts that several surfaces share: a section, a problem with its way out, an icon button. */

import type { LabIcon } from '@jupyterlab/ui-components';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import React, { useEffect, useId, useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import { useWords } from './words';

/** Where this browser remembers what was folded. */
const FOLDED = 'gpu-workbench:folded:';

/** A heading that folds what is below it, also at the next visit. */
export function Section(props: {
  title: string;
  name: string;
  aside?: React.ReactNode;
  /** Unfolds it. */
  opens?: ISignal<unknown, void>;
  children: React.ReactNode;
}): React.ReactElement {
  const [open, setOpen] = useState(() => localStorage.getItem(`${FOLDED}${props.name}`) === null);
  const { name, opens } = props;
  useEffect(() => {
    const unfold = (): void => {
      localStorage.removeItem(`${FOLDED}${name}`);
      setOpen(true);
    };
    opens?.connect(unfold);
    return () => void opens?.disconnect(unfold);
  }, [name, opens]);
  const body = useId();
  const toggle = (): void => {
    if (open) {
      localStorage.setItem(`${FOLDED}${props.name}`, '1');
    } else {
      localStorage.removeItem(`${FOLDED}${props.name}`);
    }
    setOpen(!open);
  };
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <section className="gw-section" data-testid={`gw-${props.name}`} aria-label={props.title}>
      <h3 className="gw-section-head">
        <button className="gw-fold" aria-expanded={open} aria-controls={body} onClick={toggle}>
          <Caret.react tag="span" className="gw-caret" />
          {props.title}
        </button>
        {props.aside !== undefined && <span className="gw-section-aside">{props.aside}</span>}
      </h3>
      <div id={body} hidden={!open}>
        {open && props.children}
      </div>
    </section>
  );
}

/** What happened, what would help, and the buttons for it. */
export function Trouble(props: {
  problem: ApiError | { message: string; hint: string };
  retry?: () => void;
  dismiss?: () => void;
}): React.ReactElement {
  const trans = useWords();
  const { message, hint } = props.problem;
  return (
    <div className="gw-trouble" role="alert" data-testid="gw-trouble">
      <div className="gw-trouble-message">{message}</div>
      {hint && <div className="gw-trouble-hint">{hint}</div>}
      {(props.retry ?? props.dismiss) && (
        <div className="gw-trouble-actions">
          {props.retry && (
            <button className="gw-button" onClick={props.retry}>
              {trans.__('Try again')}
            </button>
          )}
          {props.dismiss && (
            <button className="gw-button" onClick={props.dismiss}>
              {trans.__('Dismiss')}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** A button that is only an icon; its label is its name for screen readers. */
export function IconButton(props: {
  icon: LabIcon;
  label: string;
  testid?: string;
  disabled?: boolean;
  onClick: (event: React.MouseEvent<HTMLElement>) => void;
}): React.ReactElement {
  return (
    <button
      className="gw-icon-button"
      title={props.label}
      aria-label={props.label}
      data-testid={props.testid}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <props.icon.react tag="span" className="gw-icon" />
    </button>
  );
}

/** Something that may take a moment and may fail: `busy` while it runs, `problem` when it failed. */
export interface IAction {
  readonly busy: boolean;
  readonly problem: ApiError | null;
  readonly go: () => void;
  readonly forget: () => void;
}

export function useAction(run: () => Promise<void>): IAction {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const go = (): void => {
    setBusy(true);
    setProblem(null);
    run()
      .catch((reason: unknown) => setProblem(asApiError(reason)))
      .finally(() => setBusy(false));
  };
  return { busy, problem, go, forget: () => setProblem(null) };
}

/** A button that starts an action, not twice at once. */
export function ActionButton(props: {
  action: IAction;
  testid: string;
  mood?: 'primary' | 'warn';
  title?: string;
  /** Whether it can't be done now. */
  off?: boolean;
  children: React.ReactNode;
}): React.ReactElement {
  const { action, mood } = props;
  return (
    <button
      className={`gw-button${mood ? ` gw-mod-${mood}` : ''}`}
      title={props.title}
      disabled={action.busy || props.off}
      data-testid={props.testid}
      onClick={action.go}
    >
      {props.children}
    </button>
  );
}

/** Why an action failed, with the ways to try again and to go on; nothing where it did not. */
export function Failure(props: { of: IAction }): React.ReactElement | null {
  const { problem, go, forget } = props.of;
  return problem && <Trouble problem={problem} retry={go} dismiss={forget} />;
}

/** Grey bars in the shape of what is coming, so that nothing jumps. */
export function Skeleton(props: { lines: number }): React.ReactElement {
  return (
    <div className="gw-skeleton" aria-hidden="true">
      {Array.from({ length: props.lines }, (_, i) => (
        <div key={i} className="gw-skeleton-line" />
      ))}
    </div>
  );
}

/** A share of a whole as a bar; `extra` is what would come on top. */
export function Meter(props: { label: string; share: number; extra?: number }): React.ReactElement {
  const clip = (share: number): number => Math.min(1, Math.max(0, share));
  const filled = clip(props.share);
  const extra = clip(props.share + (props.extra ?? 0)) - filled;
  const over = props.share + (props.extra ?? 0) > 1.0001;
  return (
    <span
      className={`gw-meter${over ? ' gw-mod-over' : ''}`}
      role="meter"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(filled * 100)}
    >
      <span className="gw-meter-fill" style={{ width: `${filled * 100}%` }} />
      <span className="gw-meter-extra" style={{ width: `${extra * 100}%` }} />
    </span>
  );
}
