/**
 * One of Dask's own pages in JupyterLab's main area, as long as its cluster runs; before and after
 * that a sentence which says why there is none.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import { IFrame } from '@jupyterlab/ui-components';
import { PanelLayout, Widget } from '@lumino/widgets';

import type { Cluster } from '../api/types';
import { clusterIsOver } from '../model/clusters';
import type { Workbench } from '../model/workbench';
import type { IPage } from './pages';
import { pageUrl } from './pages';

export interface IPaneOptions {
  readonly workbench: Workbench;
  /** Of the cluster. */
  readonly id: string;
  /** For as long as the cluster itself is not known. */
  readonly name: string;
  readonly page: IPage;
  readonly trans: TranslationBundle;
}

export class DaskPane extends Widget {
  constructor(readonly options: IPaneOptions) {
    super();
    this.addClass('gw-pane');
    this.node.dataset['testid'] = 'gw-pane';
    this.node.dataset['page'] = options.page.page;
    this._words.addClass('gw-pane-words');
    this._words.node.setAttribute('role', 'status');
    const layout = new PanelLayout();
    layout.addWidget(this._words);
    this.layout = layout;
    const { workbench } = options;
    workbench.clusters.changed.connect(this.update, this);
    workbench.changed.connect(this.onLink, this);
    this.onUpdateRequest();
  }

  get cluster(): Cluster | undefined {
    return this.options.workbench.clusters.get(this.options.id);
  }

  /** "flights: Task stream" */
  get label(): string {
    return `${this.cluster?.name ?? this.options.name}: ${this.options.page.label}`;
  }

  override dispose(): void {
    const { workbench } = this.options;
    workbench.clusters.changed.disconnect(this.update, this);
    workbench.changed.disconnect(this.onLink, this);
    super.dispose();
  }

  protected override onUpdateRequest(): void {
    if (this.isDisposed) {
      return;
    }
    const { workbench, page } = this.options;
    const cluster = this.cluster;
    const url = cluster && pageUrl(workbench.api.settings.baseUrl, cluster, page.page);
    this.title.label = this.label;
    this.show_(url && !clusterIsOver(cluster) ? url : null);
    this._words.node.textContent = this._frame ? '' : this.why(cluster);
    this._words.setHidden(this._frame !== null);
  }

  /** The frame at that address, or none. */
  private show_(url: string | null): void {
    const layout = this.layout as PanelLayout;
    if (this._frame && url === null) {
      this._frame.dispose();
      this._frame = null;
    } else if (!this._frame && url !== null) {
      // The page is this server's, and needs its login to open the socket that it is fed by.
      this._frame = new IFrame({
        sandbox: ['allow-scripts', 'allow-same-origin', 'allow-downloads']
      });
      this._frame.addClass('gw-pane-frame');
      this._frame.node.querySelector('iframe')?.setAttribute('title', this.label);
      this._frame.url = url;
      layout.addWidget(this._frame);
    }
  }

  private why(cluster: Cluster | undefined): string {
    const { trans, workbench, name } = this.options;
    if (!cluster) {
      return workbench.phase === 'ready'
        ? trans.__('There is no cluster %1 any more. You can close this tab.', name)
        : trans.__('Reading…');
    }
    const said = cluster.message.split('\n', 1)[0] ?? '';
    if (clusterIsOver(cluster)) {
      const end = said && said !== cluster.state ? `: ${said}` : '';
      return trans.__('%1 has ended%2. You can close this tab.', cluster.name, end);
    }
    return trans.__('%1 has no scheduler yet: %2', cluster.name, said || cluster.state);
  }

  /** A page whose server was away is fed no more: it is opened anew. */
  private onLink(): void {
    const { link } = this.options.workbench;
    if (link === 'open' && this._link === 'lost' && this._frame) {
      this._frame.dispose();
      this._frame = null;
    }
    this._link = link === 'open' || link === 'lost' ? link : this._link;
    this.update();
  }

  private _frame: IFrame | null = null;
  private _link: 'open' | 'lost' | null = null;
  private readonly _words = new Widget();
}
