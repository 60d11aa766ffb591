/**
 * A page that another program serves through this server, in the main area; while there is none, a
 * sentence that says why. Which page that is, and when it is there, its subclasses know.
 */

import { IFrame } from '@jupyterlab/ui-components';
import { PanelLayout, Widget } from '@lumino/widgets';

export abstract class FramePane extends Widget {
  /** @param testid of the pane; its sentence's ends in `-words` */
  constructor(testid: string) {
    super();
    this.layout = this.panel;
    this.addClass('gw-pane');
    this.node.dataset['testid'] = testid;
    this.words.addClass('gw-pane-words');
    this.words.node.dataset['testid'] = `${testid}-words`;
    this.words.node.setAttribute('role', 'status');
    this.panel.addWidget(this.words);
  }

  /** The page, in place of the sentence; one that is shown already stays as it is. */
  protected showPage(url: string, title: string): void {
    this.words.node.textContent = '';
    this.words.hide();
    if (this.frame) {
      return;
    }
    // The page is this server's, and needs its login for what it asks and is fed by.
    this.frame = new IFrame({
      sandbox: ['allow-scripts', 'allow-same-origin', 'allow-downloads', 'allow-forms']
    });
    this.frame.addClass('gw-pane-frame');
    this.frame.node.querySelector('iframe')?.setAttribute('title', title);
    this.frame.url = url;
    this.panel.addWidget(this.frame);
  }

  /** The sentence, and what may stand below it, in place of the page. */
  protected say(words: string, ...below: readonly Node[]): void {
    this.closePage();
    this.words.node.replaceChildren(words, ...below);
    this.words.show();
  }

  /** Let go of the page that is shown, so that the next one is opened anew. */
  protected closePage(): void {
    this.frame?.dispose();
    this.frame = null;
  }

  private frame: IFrame | null = null;
  private readonly panel = new PanelLayout();
  private readonly words = new Widget();
}
